// How does Flyway bring a database to the state that the files in sql/ describe?  Prints how many files it ran; the second time it is 0.

import org.flywaydb.core.Flyway;

public class Migrate {
    public static void main(String[] arguments) {
        int count = Flyway.configure()
            .dataSource(System.getenv("SHOP_URL"), null, null)
            .locations("filesystem:" + arguments[0])
            .load().migrate().migrationsExecuted;
        System.out.println(count + " migrations");
    }
}
