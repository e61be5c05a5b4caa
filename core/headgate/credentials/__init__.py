"""Secret references become credentials, and what was revealed is masked; where secrets are kept is a plugin's matter."""
