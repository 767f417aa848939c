-- An attribute changes by alter_: if_not_exists leaves what exists as it is.  What is not named stays.
SELECT domev.alter_topic('shop.orders', description => 'Orders, as other teams know them');
