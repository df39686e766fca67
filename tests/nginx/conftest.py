"""What the tests of the nginx kits share."""
