from __future__ import annotations

import numpy as np
import torch

from trainables.gram import GramBlock, WithTexture, gram


def test_a_gram_matrix_is_the_mean_product_of_any_two_maps() -> None:
    maps = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    found = gram(torch.from_numpy(maps)).numpy()
    for image, i, j in np.ndindex(2, 3, 3):
        products = [maps[image, i, row, column] * maps[image, j, row, column] for row, column in np.ndindex(4, 5)]
        np.testing.assert_allclose(found[image, i, j], sum(products) / (3 * 4 * 5))


def test_texture_is_where_maps_meet_and_not_where_in_the_image() -> None:
    maps = torch.rand(1, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    moved = maps.roll((2, 3), dims=(2, 3)).transpose(2, 3)
    assert torch.allclose(gram(maps), gram(moved), atol=1e-6)
    apart = torch.cat([maps[:, :1].flip(2), maps[:, 1:]], dim=1)
    assert not torch.allclose(gram(maps), gram(apart), atol=1e-3)


def test_large_images_are_summed_in_half_precision() -> None:
    maps = torch.full((1, 32, 64, 64), 8.0, dtype=torch.float16)
    assert torch.allclose(gram(maps).float(), torch.full((1, 32, 32), 2.0), rtol=1e-2)


def test_a_block_reads_the_gram_matrix_of_its_aligned_maps() -> None:
    torch.manual_seed(0)
    block = GramBlock(5).eval()
    maps = torch.rand(2, 5, 7, 9)
    aligned = block.align(maps)
    assert aligned.shape == (2, 32, 7, 9)
    refined = block.refine(gram(aligned)[:, None])
    assert refined.shape == (2, 32, 8, 8)
    np.testing.assert_allclose(block(maps).detach(), refined.detach().numpy().mean(axis=(2, 3)), atol=1e-6)


def test_textures_of_what_every_stage_is_given_follow_the_features_of_the_last() -> None:
    torch.manual_seed(0)
    stages = [torch.nn.Conv2d(3, 4, 3), torch.nn.AvgPool2d(2)]
    network = WithTexture(stages, (3, 4)).eval()
    images = torch.rand(2, 3, 12, 10)
    maps = stages[0](images)
    expected = [stages[1](maps).mean(dim=(2, 3)), network.blocks[0](images), network.blocks[1](maps)]
    assert torch.equal(network(images), torch.cat(expected, dim=1))
