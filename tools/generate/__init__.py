"""The generator of the message models: schemas in, modules and test strategies out."""
