"""Erasing a customer everywhere: who asked, who agreed, and a receipt from every service."""
