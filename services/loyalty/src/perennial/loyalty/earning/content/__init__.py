"""What the community makes: reviews, posts, photos; rewarded once they are approved, taken back once removed."""
