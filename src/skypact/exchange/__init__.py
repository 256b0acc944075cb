"""Exchange between partners: what is released, how it travels, and how two pictures become one."""
