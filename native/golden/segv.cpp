// DEADLYSIGNAL: the runtime's report of a write to address 8.
int main() {
    *reinterpret_cast<volatile int*>(8) = 1;
}
