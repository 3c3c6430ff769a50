"""Whether real and fake can be told apart without looking: what trivial facts of the files give away."""
