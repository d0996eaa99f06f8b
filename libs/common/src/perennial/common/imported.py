"""What a row of an imported file says besides traits travels as one event, which imports alone may send.

Its properties: `import`, the file's id; `tags`, by key whether it is given; `consents`, each with purpose, channel,
granted, and where known at, evidence, separate, text_locale and text_version.
"""

EVENT = "Customer Imported"
