/* The least that a dynamically linked program can do: what starting one costs. */
int main(void)
{
    return 0;
}
