"""From a canvas to one connection: mailbox, writer, and the turns that writers take."""
