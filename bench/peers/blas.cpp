// OpenBLAS and BLIS beside each other: both define cblas_sgemm, so each is loaded with its symbols to itself.
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <system_error>

#include "bench/peers/peer.hpp"

namespace bench::peers {
namespace {

using Sgemm = void (*)(int order, int a, int b, int m, int n, int k, float alpha, const float* left, int lda, const float* right, int ldb, float beta, float* out, int ldc);

struct Library {
  std::string name, description;
  Sgemm sgemm = nullptr;
  std::function<void(int)> set_threads;
  double settle = 0;
};

template <class F> F symbol(void* library, const char* name) { return reinterpret_cast<F>(dlsym(library, name)); }

// The file of a loaded library, copied: the loader gives a second copy variables of its own, so that one process has two of it.
void* load_copy(void* library, const char* any_symbol, const char* name) {
  Dl_info info{};
  void* address = dlsym(library, any_symbol);
  if (address == nullptr || dladdr(address, &info) == 0) return nullptr;
  std::error_code error;
  const auto copy = std::filesystem::temp_directory_path(error) / (std::string("cotenant_bench_") + name + "_" + std::to_string(getpid()));
  std::filesystem::copy_file(std::filesystem::canonical(info.dli_fname, error), copy, std::filesystem::copy_options::overwrite_existing, error);
  void* second = error ? nullptr : dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
  std::filesystem::remove(copy, error);  // mapped already
  return second;
}

bool has_avx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
#else
  return false;
#endif
}
bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

void add_openblas(std::vector<Library>& all, void* handle, const std::string& name) {
  if (handle == nullptr) return;
  Library library{name, {}, symbol<Sgemm>(handle, "cblas_sgemm"), {}, 0};
  const auto threads = symbol<void (*)(int)>(handle, "openblas_set_num_threads");
  if (library.sgemm == nullptr || threads == nullptr) return;
  library.set_threads = threads;
  const auto config = symbol<char* (*)()>(handle, "openblas_get_config"), core = symbol<char* (*)()>(handle, "openblas_get_corename");
  library.description = name + ": " + (config != nullptr ? config() : "") + ", kernels " + (core != nullptr ? core() : "unknown");
  library.settle = 0.03;  // its threads spin for 2^26 ticks of the time-stamp counter
  all.push_back(std::move(library));
}

bool takes_avx512(const std::string& description) {
  for (const char* core : {"SkylakeX", "Cooperlake", "SapphireRapids"})
    if (description.find(core) != std::string::npos) return true;
  return false;
}

// BLIS 0.9 knows no Zen 4 and 5 and takes its plain C kernels there, which would be no contest: it is told what the CPU can do.
void add_blis(std::vector<Library>& all) {
  void* handle = dlopen("libblis.so.4", RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return;
  std::string chosen;
  const auto start = [&](void* library) {
    if (const auto initialize = symbol<void (*)()>(library, "bli_init")) initialize();
    const auto query = symbol<int (*)()>(library, "bli_arch_query_id");
    const auto text = symbol<const char* (*)(int)>(library, "bli_arch_string");
    return query != nullptr && text != nullptr ? std::string(text(query())) : std::string("unknown");
  };
  std::string own;
  if (void* probe = load_copy(handle, "bli_arch_string", "blis")) own = start(probe);
  if (own == "generic" && (has_avx512() || has_avx2()))
    if (const auto text = symbol<const char* (*)(int)>(handle, "bli_arch_string"))
      for (int id = 0; text(id) != nullptr && id < 100; ++id)
        if (std::string(text(id)) == (has_avx512() ? "skx" : "haswell")) setenv("BLIS_ARCH_TYPE", std::to_string(id).c_str(), 0);
  chosen = start(handle);
  const auto version = symbol<const char* (*)()>(handle, "bli_info_get_version_str");
  Library library{"BLIS", {}, symbol<Sgemm>(handle, "cblas_sgemm"), {}, 0.003};
  library.description = std::string("BLIS ") + (version != nullptr ? version() : "") + ", kernels " + chosen +
                        (own.empty() || own == chosen ? "" : " (its own choice: " + own + ")");
  const auto threads = symbol<void (*)(long)>(handle, "bli_thread_set_num_threads");
  if (library.sgemm == nullptr || threads == nullptr) return;
  library.set_threads = [threads](int count) { threads(count); };
  all.push_back(std::move(library));
}

std::vector<Library>& libraries() {
  static std::vector<Library> all = [] {
    std::vector<Library> found;
    // What the environment tells it (a machine's administrator may) is no choice of its own.
    for (const char* name : {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"}) unsetenv(name);
    void* handle = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    add_openblas(found, handle, "OpenBLAS");
    // Where it does not know the CPU and takes AVX2 kernels: the same library once more, told of AVX-512.
    if (handle != nullptr && has_avx512() && found.size() == 1 && !takes_avx512(found[0].description)) {
      setenv("OPENBLAS_CORETYPE", "SkylakeX", 1);
      add_openblas(found, load_copy(handle, "cblas_sgemm", "openblas"), "OpenBLAS (AVX-512)");
      unsetenv("OPENBLAS_CORETYPE");
    }
    add_blis(found);
    return found;
  }();
  return all;
}

}  // namespace

std::shared_ptr<void> room(std::size_t bytes) {
  // Large ones on huge pages, where the system gives them when asked: what a walk through the page table costs is no bound of memory.
  const std::size_t alignment = bytes >= (std::size_t{8} << 20) ? std::size_t{2} << 20 : 64, rounded = std::max<std::size_t>(1, (bytes + alignment - 1) / alignment) * alignment;
  std::shared_ptr<void> memory(std::aligned_alloc(alignment, rounded), std::free);
#ifdef MADV_HUGEPAGE
  if (alignment > 64) madvise(memory.get(), rounded, MADV_HUGEPAGE);
#endif
  auto* begin = static_cast<unsigned char*>(memory.get());
  for (std::size_t i = 0; i < rounded; ++i) begin[i] = 0;  // its pages are there before anything is timed
  return memory;
}

void blas_set_threads(int threads) {
  for (const Library& library : libraries()) library.set_threads(threads);
}

std::vector<std::string> blas_descriptions() {
  std::vector<std::string> lines;
  for (const Library& library : libraries()) lines.push_back(library.description);
  return lines;
}

Peers blas_product(const Product& p) {
  constexpr int row_major = 101, plain = 111, transposed = 112;
  Peers peers;
  for (const Library& library : libraries()) {
    auto out = room(p.batch * p.m * p.n * sizeof(float));
    const auto run = [sgemm = library.sgemm, p, result = static_cast<float*>(out.get())] {
      const auto m = static_cast<int>(p.m), n = static_cast<int>(p.n), k = static_cast<int>(p.k);
      for (std::size_t i = 0; i < p.batch; ++i)
        sgemm(row_major, p.a_transposed ? transposed : plain, p.b_transposed ? transposed : plain, m, n, k, 1.0f, static_cast<const float*>(p.a) + i * p.m * p.k,
              p.a_transposed ? m : k, static_cast<const float*>(p.b) + i * p.k * p.n, p.b_transposed ? k : n, 0.0f, result + i * p.m * p.n, n);
    };
    peers.push_back({library.name, run, out, library.settle});
  }
  return peers;
}

}  // namespace bench::peers
