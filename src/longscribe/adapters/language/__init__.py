"""What depends on the language spoken: how words sound and how common they are."""
