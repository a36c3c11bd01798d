"""Data holders: one manifest per dataset, one pure adapter where the generic one does not suffice, one transport."""
