"""The SMTP transport: connections to the mail server, pipelined where it offers that, and the meaning of its replies."""
