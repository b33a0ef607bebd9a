"""One module for each command: ``add_to`` declares it, ``run`` does it."""
