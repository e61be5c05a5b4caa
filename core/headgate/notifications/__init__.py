"""From the outbox in the database to the notifiers, until told or given up; which news there is, is decided elsewhere."""
