"""Which networks of torchvision's there are, and the files their published weights come in: known without torch."""

from __future__ import annotations

from collections.abc import Mapping

ADDRESS = "https://download.pytorch.org/models/"

FILES: Mapping[str, Mapping[str, str]] = {
    "convnext_base": {"IMAGENET1K_V1": "convnext_base-6075fbad.pth"},
    "convnext_large": {"IMAGENET1K_V1": "convnext_large-ea097f82.pth"},
    "convnext_small": {"IMAGENET1K_V1": "convnext_small-0c510722.pth"},
    "convnext_tiny": {"IMAGENET1K_V1": "convnext_tiny-983f1562.pth"},
    "densenet121": {"IMAGENET1K_V1": "densenet121-a639ec97.pth"},
    "densenet161": {"IMAGENET1K_V1": "densenet161-8d451a50.pth"},
    "densenet169": {"IMAGENET1K_V1": "densenet169-b2777c0a.pth"},
    "densenet201": {"IMAGENET1K_V1": "densenet201-c1103571.pth"},
    "efficientnet_b0": {"IMAGENET1K_V1": "efficientnet_b0_rwightman-7f5810bc.pth"},
    "efficientnet_b1": {
        "IMAGENET1K_V1": "efficientnet_b1_rwightman-bac287d4.pth",
        "IMAGENET1K_V2": "efficientnet_b1-c27df63c.pth",
    },
    "efficientnet_b2": {"IMAGENET1K_V1": "efficientnet_b2_rwightman-c35c1473.pth"},
    "efficientnet_b3": {"IMAGENET1K_V1": "efficientnet_b3_rwightman-b3899882.pth"},
    "efficientnet_b4": {"IMAGENET1K_V1": "efficientnet_b4_rwightman-23ab8bcd.pth"},
    "efficientnet_b5": {"IMAGENET1K_V1": "efficientnet_b5_lukemelas-1a07897c.pth"},
    "efficientnet_b6": {"IMAGENET1K_V1": "efficientnet_b6_lukemelas-24a108a5.pth"},
    "efficientnet_b7": {"IMAGENET1K_V1": "efficientnet_b7_lukemelas-c5b4e57e.pth"},
    "efficientnet_v2_l": {"IMAGENET1K_V1": "efficientnet_v2_l-59c71312.pth"},
    "efficientnet_v2_m": {"IMAGENET1K_V1": "efficientnet_v2_m-dc08266a.pth"},
    "efficientnet_v2_s": {"IMAGENET1K_V1": "efficientnet_v2_s-dd5fe13b.pth"},
    "googlenet": {"IMAGENET1K_V1": "googlenet-1378be20.pth"},
    "inception_v3": {"IMAGENET1K_V1": "inception_v3_google-0cc3c7bd.pth"},
    "mobilenet_v2": {"IMAGENET1K_V1": "mobilenet_v2-b0353104.pth", "IMAGENET1K_V2": "mobilenet_v2-7ebf99e0.pth"},
    "mobilenet_v3_large": {
        "IMAGENET1K_V1": "mobilenet_v3_large-8738ca79.pth",
        "IMAGENET1K_V2": "mobilenet_v3_large-5c1a4163.pth",
    },
    "mobilenet_v3_small": {"IMAGENET1K_V1": "mobilenet_v3_small-047dcff4.pth"},
    "resnet101": {"IMAGENET1K_V1": "resnet101-63fe2227.pth", "IMAGENET1K_V2": "resnet101-cd907fc2.pth"},
    "resnet152": {"IMAGENET1K_V1": "resnet152-394f9c45.pth", "IMAGENET1K_V2": "resnet152-f82ba261.pth"},
    "resnet18": {"IMAGENET1K_V1": "resnet18-f37072fd.pth"},
    "resnet34": {"IMAGENET1K_V1": "resnet34-b627a593.pth"},
    "resnet50": {"IMAGENET1K_V1": "resnet50-0676ba61.pth", "IMAGENET1K_V2": "resnet50-11ad3fa6.pth"},
    "resnext101_32x8d": {
        "IMAGENET1K_V1": "resnext101_32x8d-8ba56ff5.pth",
        "IMAGENET1K_V2": "resnext101_32x8d-110c445d.pth",
    },
    "resnext101_64x4d": {"IMAGENET1K_V1": "resnext101_64x4d-173b62eb.pth"},
    "resnext50_32x4d": {
        "IMAGENET1K_V1": "resnext50_32x4d-7cdf4587.pth",
        "IMAGENET1K_V2": "resnext50_32x4d-1a0047aa.pth",
    },
    "vgg11": {"IMAGENET1K_V1": "vgg11-8a719046.pth"},
    "vgg11_bn": {"IMAGENET1K_V1": "vgg11_bn-6002323d.pth"},
    "vgg13": {"IMAGENET1K_V1": "vgg13-19584684.pth"},
    "vgg13_bn": {"IMAGENET1K_V1": "vgg13_bn-abd245e5.pth"},
    "vgg16": {"IMAGENET1K_V1": "vgg16-397923af.pth"},
    "vgg16_bn": {"IMAGENET1K_V1": "vgg16_bn-6c64b313.pth"},
    "vgg19": {"IMAGENET1K_V1": "vgg19-dcbb9e9d.pth"},
    "vgg19_bn": {"IMAGENET1K_V1": "vgg19_bn-c79401a0.pth"},
    "vit_b_16": {
        "IMAGENET1K_V1": "vit_b_16-c867db91.pth",
        "IMAGENET1K_SWAG_LINEAR_V1": "vit_b_16_lc_swag-4e70ced5.pth",
    },
    "vit_b_32": {"IMAGENET1K_V1": "vit_b_32-d86f8d99.pth"},
    "vit_h_14": {"IMAGENET1K_SWAG_LINEAR_V1": "vit_h_14_lc_swag-c1eb923e.pth"},
    "vit_l_16": {
        "IMAGENET1K_V1": "vit_l_16-852ce7e3.pth",
        "IMAGENET1K_SWAG_LINEAR_V1": "vit_l_16_lc_swag-4d563306.pth",
    },
    "vit_l_32": {"IMAGENET1K_V1": "vit_l_32-c7638314.pth"},
    "wide_resnet101_2": {
        "IMAGENET1K_V1": "wide_resnet101_2-32ee1156.pth",
        "IMAGENET1K_V2": "wide_resnet101_2-d733dc28.pth",
    },
    "wide_resnet50_2": {
        "IMAGENET1K_V1": "wide_resnet50_2-95faca4d.pth",
        "IMAGENET1K_V2": "wide_resnet50_2-9ba9bcbe.pth",
    },
}
"""By name, the file of every tag of weights, as torchvision 0.29 publishes them; the end of a file's name is the
beginning of its SHA-256. Left out are weights that need another network than their name's: transformers of another
image size, and VGG-16 without its classifier."""
