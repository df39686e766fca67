"""Other people's inventories, read and written: Ansible, ssh_config and known_hosts, CSV and Excel."""

FORMATS = ("ansible-ini", "ansible-yaml", "ssh-config", "known-hosts", "csv", "excel")
