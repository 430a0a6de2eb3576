"""The one place that holds keys of card data: an interface over an encrypted file and an HSM.

`keys.py` has purposes, states and errors, `store.py` the interface with what it promises, `file.py`
and `pkcs11.py` the two implementations, `config.py` how a process gets the one it is to use.
"""
