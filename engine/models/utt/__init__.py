"""U-T&T: a U-Net over an aerial image, fused with a U-TAE over the season's satellite images of the same ground."""
