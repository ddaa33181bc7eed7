/** @file fuzz_table.c  results.csv, as a report reads it. */
#include "fuzz.h"

#include "../../src/report/networks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *const name = "study";
    char path[128];
    nl_csv table;
    nl_report_networks report = {0};

    fuzz_write("results.csv", data, size);
    if (nl_csv_read(fuzz_path("results.csv", path), &table) == NL_OK) {
        for (int row = 0; row < table.rows; row++) {
            double number = 0.0;

            for (int column = 0; column < table.columns; column++) {
                (void)!nl_csv_number(&table, row, column, &number);
                FUZZ_EXPECT(strpbrk(nl_csv_text(&table, row, column), "\x1b\n\r") == NULL);
            }
        }
        if (nl_report_networks_create(1, &table, &name, false, &report) == NL_OK) {
            nl_report_networks_free(&report);
        }
        nl_csv_free(&table);
    }
    return 0;
}
