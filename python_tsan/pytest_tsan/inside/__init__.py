"""What is loaded in the process of a marked test: standard library and pytest only, any Python from 3.9 on."""
