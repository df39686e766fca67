"""Other people's inventories, read and written: Ansible, ssh_config and known_hosts, CSV and Excel."""
