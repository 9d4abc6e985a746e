"""Evidence for `fivefold.data`."""
