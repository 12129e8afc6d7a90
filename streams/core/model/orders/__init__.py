"""Orders: as the shop sends them, as they are stored, how much room they take, and their receipts."""
