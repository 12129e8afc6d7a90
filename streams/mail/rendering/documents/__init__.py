"""Documents that emails carry: an invoice or a receipt as PDF, made from the data of a command."""
