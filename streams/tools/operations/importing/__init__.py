"""`takk import`: orders, parcels, customers and products of an earlier system, from files to the topics."""
