"""The inventory: hosts, groups, services, selectors, as values read from `inventory.yaml`."""
