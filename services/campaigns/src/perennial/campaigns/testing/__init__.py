"""What the tests of campaigns share. Not imported at run time."""
