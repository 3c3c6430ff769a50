"""From image files to arrays: the one door every image goes through, real or fake, ours or the user's."""
