"""The edge tables, whose only owner this is: merchants, their keys, what each request needs."""
