"""What requests cost, beside other gateways and by what they select, and what growing lists cost: see README.md."""
