"""Shows that nothing measured is ever lost, mixed up or silently wrong: kills, twins, full disks, malformed input."""
