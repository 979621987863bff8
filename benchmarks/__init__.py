"""How long pages take and how much memory rows take, over fleets of growing size: see README.md."""
