"""Computed traits: functions over what a customer did, declared as data and kept up with the events."""
