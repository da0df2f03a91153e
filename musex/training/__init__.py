"""How networks learn; needs TensorFlow where they are trained."""
