"""What tests of identity share; not imported at run time."""
