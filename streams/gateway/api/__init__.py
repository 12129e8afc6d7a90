"""The JSON API: records of shops come in over HTTP."""
