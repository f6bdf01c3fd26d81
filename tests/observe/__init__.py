"""What hocket.observe tells of loops and tasks."""
