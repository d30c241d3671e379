"""What things are: values without behaviour that touches disk, network or clock."""
