"""For how long changes of membership and versions of segments are kept."""
