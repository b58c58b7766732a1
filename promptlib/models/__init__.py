"""Language models: by name, asked with care for money and time, their answers kept."""
