"""The isolation of records that end the process: notes of what is computed, the crashes that they show, and what follows from them."""
