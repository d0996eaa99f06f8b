"""How RFM is computed: data with versions."""
