// DEADLYSIGNAL: the runtime's last words for a write to address 8.
int main() {
    *reinterpret_cast<volatile int*>(8) = 1;
}
