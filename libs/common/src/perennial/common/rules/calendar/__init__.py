"""Whose day it is, and which days a window or a birthday means."""
