"""What the gateway holds about persons, and the export of what every service holds, composed into one archive."""
