"""From a store's examples to files that train a model."""
