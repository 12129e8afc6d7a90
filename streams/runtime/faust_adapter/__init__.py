"""The interfaces that Faust expects of a transport, a table manager and a store."""
